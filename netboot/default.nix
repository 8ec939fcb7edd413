# The appliance: node01–node03 boot from the network, keep their state on a labelled disk.
{ self, lib }:
let
  node =
    file:
    self.inputs.nixpkgs.lib.nixosSystem {
      modules = [
        self.nixosModules.metricstor
        ./common.nix
        file
      ];
    };
in
lib.genAttrs [ "node01" "node02" "node03" ] (name: node (./. + "/${name}.nix"))
