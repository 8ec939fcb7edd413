# services.metricstor: the server as a hardened unit with its own certificate authority.
self:
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.services.metricstor;
  format = pkgs.formats.yaml { };
  file = format.generate "metricstor.yml" cfg.settings;
  port = lib.toInt (lib.last (lib.splitString ":" cfg.settings.listen));
in
{
  options.services.metricstor = {
    enable = lib.mkEnableOption "metricstor, a store for pushed metrics";

    package = lib.mkOption {
      type = lib.types.package;
      default = self.packages.${pkgs.stdenv.hostPlatform.system}.metricstor;
      defaultText = lib.literalExpression "metricstor.packages.\${system}.metricstor";
      description = "The metricstor package to run.";
    };

    settings = lib.mkOption {
      type = lib.types.submodule {
        freeformType = format.type;
        options.listen = lib.mkOption {
          type = lib.types.strMatching ".+:[0-9]+";
          default = "127.0.0.1:9101";
          example = "0.0.0.0:9101";
          description = "Address and port of the listener with mutual TLS.";
        };
      };
      default = { };
      example = lib.literalExpression ''
        {
          listen = "0.0.0.0:9101";
          storage.retention = "90d";
          policy = [
            {
              who = "agent/*";
              may = [ "write" ];
              stamp.instance = "{name}";
            }
            {
              who = "user/*";
              may = [ "write" "read" "rules" "admin" ];
            }
          ];
        }
      '';
      description = ''
        The configuration file as Nix values; `crates/metricstor/settings.md` tells what each is
        for, and `metricstor check-config FILE --print` shows the values in effect. Secrets do not belong here: the file is readable by everyone. Refer to
        {option}`services.metricstor.credentials` instead.
      '';
    };

    checkConfig = lib.mkOption {
      type = lib.types.bool;
      default = pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform;
      defaultText = lib.literalMD "`true` unless cross-compiling";
      description = "Whether a wrong setting fails the build of the system rather than its boot.";
    };

    credentials = lib.mkOption {
      type = lib.types.attrsOf lib.types.str;
      default = { };
      example = {
        "server.key" = "/run/secrets/metricstor.key";
      };
      description = "Secret files by name, found by the service in `$CREDENTIALS_DIRECTORY`.";
    };

    environmentFile = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      description = "A file with `METRICSTOR_…` variables; prefer settings and credentials.";
    };

    openFirewall = lib.mkOption {
      type = lib.types.bool;
      default = false;
      description = "Whether to open the port of {option}`services.metricstor.settings.listen`.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = lib.mapAttrsToList (name: path: {
      assertion = !lib.isStorePath path && !lib.hasPrefix builtins.storeDir path;
      message = ''
        services.metricstor.credentials."${name}" is in the Nix store, which everyone can read:
        give the path of a file outside of it, as a string.
      '';
    }) cfg.credentials;

    system.checks = lib.optional cfg.checkConfig (
      pkgs.runCommand "metricstor-check-config" { } ''
        ${lib.getExe cfg.package} check-config ${file} && touch $out
      ''
    );
    environment.etc."metricstor/metricstor.yml".source = file;
    environment.systemPackages = [ cfg.package ];
    networking.firewall.allowedTCPPorts = lib.optional cfg.openFirewall port;

    systemd.services.metricstor = {
      description = "metricstor, a store for pushed metrics";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      restartTriggers = [ file ];
      serviceConfig = import ./hardening.nix // {
        Type = "notify";
        # Takes a changed policy over; other settings need a restart.
        ExecReload = "${lib.getExe' pkgs.coreutils "kill"} -HUP $MAINPID";
        ExecStart = "${lib.getExe cfg.package} serve --config /etc/metricstor/metricstor.yml --data-dir %S/metricstor";
        EnvironmentFile = lib.optional (cfg.environmentFile != null) cfg.environmentFile;
        LoadCredential = lib.mapAttrsToList (name: path: "${name}:${path}") cfg.credentials;
        StateDirectory = "metricstor";
        StateDirectoryMode = "0700";
        # For the setting unix_socket, which everything else in /run is closed to.
        RuntimeDirectory = "metricstor";
        RuntimeDirectoryMode = "0700";
        WatchdogSec = "60s";
        Restart = "on-failure";
        RestartSec = "1s";
        # A start that is ended because its log is long would find the same log the next time.
        TimeoutStartSec = "infinity";
        # Requests and then queries have connections.shutdown_deadline (30s) each. Committing what was
        # accepted takes a sync; closing never writes more than that.
        TimeoutStopSec = "90s";
        # A connection and a chunk file are a descriptor each.
        LimitNOFILE = 1048576;
      };
    };
  };
}
