# What all machines of the appliance share. The image holds no secret and no identity: those are made
# at the first start and live on the disk.
{
  config,
  modulesPath,
  pkgs,
  ...
}:
let
  inherit (config.system) build;
in
{
  imports = [
    (modulesPath + "/installer/netboot/netboot.nix")
    (modulesPath + "/profiles/headless.nix")
    (modulesPath + "/profiles/minimal.nix")
  ];

  nixpkgs.hostPlatform = "x86_64-linux";
  system.stateVersion = "26.05";
  netboot.squashfsCompression = "zstd -Xcompression-level 6";
  boot.initrd.systemd.enable = true;
  documentation.enable = false;
  nix.enable = false;

  networking = {
    useNetworkd = true;
    useDHCP = true;
  };
  # Certificates need a clock; a machine with a dead battery gets it from the network.
  services.timesyncd.enable = true;

  # The label is the claim: `mkfs.ext4 -L metricstor /dev/…` gives a disk to the appliance. A machine
  # without such a disk boots and says so, it never formats one.
  fileSystems."/var/lib/private/metricstor" = {
    device = "/dev/disk/by-label/metricstor";
    fsType = "ext4";
    options = [
      "nofail"
      "noatime"
      "x-systemd.device-timeout=30s"
    ];
  };
  systemd.services.metricstor = {
    after = [ "time-sync.target" ];
    wants = [ "time-sync.target" ];
    unitConfig.RequiresMountsFor = "/var/lib/private/metricstor";
  };

  services.metricstor = {
    enable = true;
    openFirewall = true;
    settings.listen = "0.0.0.0:9101";
  };

  services.openssh = {
    enable = true;
    settings = {
      PasswordAuthentication = false;
      PermitRootLogin = "prohibit-password";
    };
  };

  # Kernel, initial RAM disk and iPXE script side by side, to be put on a boot server as they are.
  system.build.netboot = pkgs.symlinkJoin {
    name = "netboot-${config.networking.hostName}";
    paths = [
      build.netbootRamdisk
      build.kernel
      build.netbootIpxeScript
    ];
    meta.description = "Netboot files of ${config.networking.hostName}";
  };
}
