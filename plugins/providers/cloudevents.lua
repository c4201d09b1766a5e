-- CloudEvents over HTTP, binary and structured, with a bearer token.
provider "cloudevents" {
  kind = "token", sig = "header:Authorization", prefix = "Bearer ",
  event = "header:ce-type|json:type", delivery = "header:ce-id|json:id", id_in_mac = false, retry = "auto", keep = "7d",
}
