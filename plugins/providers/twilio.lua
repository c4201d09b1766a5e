-- Twilio signs the public address and the fields of the form; of a JSON body only its digest, in the address. The URL of
-- the installation (config.url) must be the one Twilio calls.
provider "twilio" {
  kind = "hmac", hash = "sha1", enc = "base64",
  sig = "header:X-Twilio-Signature", signed = "{url}{form_sorted}", digest = "query:bodySHA256",
  event = "json:EventType|json:SmsStatus|json:CallStatus|const:event",
  delivery = "header:I-Twilio-Idempotency-Token|digest", id_in_mac = false, answer = 204, deadline = "15s", retry = "none",
}
