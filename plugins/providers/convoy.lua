-- Convoy with simple signatures: HMAC-SHA256 of the body in hex. Its projects may choose SHA-512, base64 or another header:
-- copy this file to plugins/providers/ of the site and change it. https://docs.getconvoy.io/product-manual/signatures
provider "convoy" {
  kind = "hmac", hash = "sha256", enc = "hex",
  sig = "header:X-Convoy-Signature", signed = "{body}",
  event = "json:event_type|json:type|const:event", delivery = "digest", id_in_mac = true,
}
