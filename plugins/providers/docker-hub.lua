-- Docker Hub signs nothing: the secret stands in the address, /hooks/NAME?token=…
provider "docker-hub" {
  kind = "token", sig = "query:token",
  event = "const:image_push", delivery = "digest", id_in_mac = false, retry = "none",
}
