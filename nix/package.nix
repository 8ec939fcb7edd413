# The binary. Only what the build reads is a source, so that documents do not trigger rebuilds.
{ lib, rustPlatform }:
let
  manifest = lib.importTOML ../Cargo.toml;
in
rustPlatform.buildRustPackage {
  pname = "metricstor";
  inherit (manifest.workspace.package) version;

  src = lib.fileset.toSource {
    root = ../.;
    fileset = lib.fileset.unions [
      ../Cargo.toml
      ../Cargo.lock
      (lib.fileset.fileFilter (file: !file.hasExt "md") ../crates)
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;
  cargoBuildFlags = [
    "--package"
    "metricstor"
  ];

  # The end-to-end tests start real peers and listen on the network: the VM tests do that here.
  cargoTestFlags = [
    "--workspace"
    "--exclude"
    "metricstor"
  ];

  meta = {
    inherit (manifest.workspace.package) description;
    license = lib.licenses.asl20;
    mainProgram = "metricstor";
    platforms = lib.platforms.linux;
  };
}
