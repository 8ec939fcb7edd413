{
  description = "A store for pushed metrics: mutual TLS, durable before acknowledged, PromQL as Prometheus answers it";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      eachSystem = f: lib.genAttrs systems (system: f (nixpkgs.legacyPackages.${system}));
    in
    {
      overlays.default = final: _: { metricstor = final.callPackage ./nix/package.nix { }; };

      packages = eachSystem (
        pkgs:
        let
          metricstor = pkgs.callPackage ./nix/package.nix { };
        in
        {
          inherit metricstor;
          default = metricstor;
        }
        // lib.optionalAttrs (pkgs.stdenv.hostPlatform.system == "x86_64-linux") (
          lib.mapAttrs' (name: node: lib.nameValuePair "netboot-${name}" node.config.system.build.netboot) (
            self.nixosConfigurations
          )
        )
      );

      nixosModules = {
        metricstor = import ./nix/module.nix self;
        default = self.nixosModules.metricstor;
      };

      nixosConfigurations = import ./netboot { inherit self lib; };

      checks = eachSystem (pkgs: import ./nix/checks.nix { inherit self pkgs lib; });

      devShells = eachSystem (pkgs: {
        default = import ./nix/shell.nix { inherit pkgs; };
      });

      formatter = eachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
