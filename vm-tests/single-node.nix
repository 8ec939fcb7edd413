# One server, a real Prometheus on another machine that pushes to it over mutual TLS, and queries.
{ self }:
{
  name = "metricstor-single-node";

  nodes.server = {
    imports = [ self.nixosModules.metricstor ];
    services.metricstor = {
      enable = true;
      openFirewall = true;
      settings.listen = "0.0.0.0:9101";
    };
    environment.etc."query".source = ./query.sh;
  };

  nodes.sender =
    { pkgs, ... }:
    {
      services.prometheus = {
        enable = true;
        globalConfig.scrape_interval = "1s";
        checkConfig = "syntax-only";
        exporters.node.enable = true;
        scrapeConfigs = [
          {
            job_name = "node";
            static_configs = [ { targets = [ "127.0.0.1:9100" ]; } ];
          }
        ];
        remoteWrite = [
          {
            url = "https://server:9101/api/v1/write";
            tls_config = {
              ca_file = "/var/lib/pki/ca.crt";
              cert_file = "/var/lib/pki/admin.crt";
              key_file = "/var/lib/pki/admin.key";
            };
          }
        ];
      };
      # The pair arrives when the server is up: the test copies it, then starts Prometheus.
      systemd.services.prometheus.wantedBy = pkgs.lib.mkForce [ ];
    };

  testScript = ''
    import json

    def query(expression):
        answer = server.succeed(f"sh /etc/query '{expression}'")
        return json.loads(answer)["data"]["result"]

    def count():
        result = query("count_over_time(up{job=\"node\"}[1h])")
        return int(result[0]["value"][1]) if result else 0

    def wait_for_more_than(samples):
        server.wait_until_succeeds(
            f"sh /etc/query 'count_over_time(up[1h]) > {samples}' | grep -q '\"value\"'"
        )

    server.start()
    sender.start()
    server.wait_for_unit("metricstor.service")
    server.wait_for_open_port(9101)

    with subtest("the server made its certificates, readable by itself alone"):
        server.succeed("test -s /var/lib/metricstor/pki/ca.crt")
        server.fail("find /var/lib/metricstor/ -name '*.key' -perm /077 | grep .")

    with subtest("a Prometheus on another machine pushes with the identity it was given"):
        for name in ["ca.crt", "admin.crt", "admin.key"]:
            content = server.succeed(f"cat /var/lib/metricstor/pki/{name}")
            sender.succeed(f"install -D -m 0600 -o prometheus /dev/stdin /var/lib/pki/{name} <<'END'\n{content}END")
        sender.succeed("chown -R prometheus /var/lib/pki; systemctl start prometheus.service")
        wait_for_more_than(5)

    with subtest("without a certificate nobody writes"):
        sender.fail("curl -sf --cacert /var/lib/pki/ca.crt https://server:9101/api/v1/query?query=up")

    with subtest("a restart of the unit loses nothing"):
        before = count()
        server.succeed("systemctl restart metricstor.service")
        server.wait_for_unit("metricstor.service")
        assert count() >= before

    with subtest("a killed server loses nothing and comes back by itself"):
        before = count()
        server.succeed("systemctl kill --signal=KILL metricstor.service")
        wait_for_more_than(before)

    with subtest("the unit stays in its sandbox"):
        server.succeed("systemd-analyze security --threshold=12 metricstor.service")
  '';
}
