# One machine of the appliance: what differs from the others.
{
  networking.hostName = "node02";
}
