// The body of a delivery for people: laid out, or as a command that sends it again.

// JSON laid out by its own text, as parsing and printing it anew would round large numbers and drop doubled keys.
export function pretty(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let out = "", depth = 0;
  const line = (): string => `\n${"  ".repeat(Math.min(depth, 64))}`;
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  tokens.forEach((token, i) => {
    const closes = token === "}" || token === "]", empty = closes && /^[{[]$/.test(tokens[i - 1] ?? "");
    if (closes) depth--;
    if (closes && !empty) out += line();
    out += token === ":" ? ": " : token;
    if (token === "{" || token === "[") depth++;
    const next = tokens[i + 1];
    if (token === "," || (/^[{[]$/.test(token) && next !== "}" && next !== "]")) out += line();
  });
  return out;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

// What a terminal could take for a key, or a shell cannot hold, is not pasted.
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/;
const OWN = new Set(["host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect"]);
const PASTED_MOST = 65536;

export interface Sent { id: number; source: string; query?: string; headers: Record<string, string> }

// The delivery as a curl command; BODY is undefined where it is no text, and then comes from the downloaded file.
export function curl(d: Sent, origin: string, body: string | undefined): string {
  const pasted = body !== undefined && body.length <= PASTED_MOST && !CONTROL.test(body);
  const headers = Object.entries(d.headers).filter(([name, value]) => !OWN.has(name.toLowerCase()) && !CONTROL.test(name + value) && !/[\t\n]/.test(value));
  if (!headers.some(([name]) => name.toLowerCase() === "content-type")) headers.push(["content-type", "application/json"]);
  return [`curl ${quoted(`${origin}/hooks/${encodeURIComponent(d.source)}${d.query ? `?${d.query}` : ""}`)}`,
    ...headers.map(([name, value]) => `-H ${quoted(value ? `${name}: ${value}` : `${name};`)}`),
    pasted ? `--data-raw ${quoted(body)}` : `--data-binary @delivery-${d.id}.bin`].join(" \\\n  ");
}
