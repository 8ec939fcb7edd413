# What one needs to work on metricstor.
{ pkgs }:
pkgs.mkShell {
  packages = [
    pkgs.cargo
    pkgs.clippy
    pkgs.rustc
    pkgs.rustfmt
    pkgs.rust-analyzer
    # peers and clients of the end-to-end tests
    pkgs.curl
    pkgs.prometheus
    pkgs.prometheus-node-exporter
    # the Nix side
    pkgs.deadnix
    pkgs.nixfmt
  ];
}
