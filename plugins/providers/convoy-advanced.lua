-- Convoy with advanced signatures: t=…,v1=…, with a comma between time and body.
provider "convoy-advanced" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Convoy-Signature", item = ",", pair = "=", take = "v1",
  ts = "sig:t", tol = "5m", signed = "{ts},{body}",
  event = "json:event_type|json:type|const:event", delivery = "digest", id_in_mac = true,
}
