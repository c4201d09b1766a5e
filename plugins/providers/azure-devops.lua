-- Azure DevOps service hooks: the secret of the source is user:password of HTTP Basic.
provider "azure-devops" {
  kind = "basic",
  event = "json:eventType", delivery = "json:id", id_in_mac = false, retry = "auto", keep = "7d",
}
