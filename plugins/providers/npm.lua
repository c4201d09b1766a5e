-- The npm registry's hooks.
provider "npm" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Npm-Signature", pair = "=", take = "sha256", signed = "{body}",
  event = "json:event", delivery = "digest", id_in_mac = true,
}
