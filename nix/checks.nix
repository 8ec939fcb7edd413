# Everything that `nix flake check` builds. A file in vm-tests/ is a check by being there.
{
  self,
  pkgs,
  lib,
}:
let
  system = pkgs.stdenv.hostPlatform.system;
  example =
    module:
    (self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.metricstor
        {
          nixpkgs.hostPlatform = system;
          boot.loader.grub.enable = false;
          fileSystems."/" = {
            device = "none";
            fsType = "tmpfs";
          };
          system.stateVersion = "26.05";
        }
        module
      ];
    }).config.systemd.units."metricstor.service".unit;
  vmTests = lib.mapAttrs' (
    file: _:
    lib.nameValuePair "vm-${lib.removeSuffix ".nix" file}" (
      pkgs.testers.runNixOSTest (import (../vm-tests + "/${file}") { inherit self; })
    )
  ) (lib.filterAttrs (file: _: lib.hasSuffix ".nix" file) (builtins.readDir ../vm-tests));
in
{
  package = self.packages.${system}.metricstor;
  shell = self.devShells.${system}.default;

  format = pkgs.runCommand "metricstor-nix-format" { nativeBuildInputs = [ pkgs.nixfmt ]; } ''
    nixfmt --check ${../flake.nix} $(find ${./.} ${../netboot} ${../vm-tests} -name '*.nix')
    touch $out
  '';

  example-minimal = example { services.metricstor.enable = true; };
  example-fleet = example {
    services.metricstor = {
      enable = true;
      openFirewall = true;
      settings = {
        listen = "0.0.0.0:9101";
        storage.retention = "90d";
      };
      credentials."server.key" = "/run/secrets/metricstor.key";
    };
  };
}
// vmTests
