// One event stream that survives everything: a native EventSource, and around it what the browser leaves out. The
// position is held here, so a stream that the browser gave up on (a proxy's 502), that went silent (a dead path: the
// server beats every 15 s) or that was closed while the page was hidden goes on exactly where it was.

export type Link = "connecting" | "live" | "reconnecting" | "ended";

export interface StreamOptions {
  url: string;                                    // without a position
  kinds: string[];                                // event names to listen to
  onEvent(kind: string, data: string, id: string): void;
  onLink(link: Link): void;
}

const SILENCE_MS = 40_000;                        // two beats and a half
const HIDDEN_MS = 30_000;                         // a hidden page gives its connection back after this
const RETRY_MS = [500, 1000, 2000, 5000, 10_000];

export class Stream {
  private source: EventSource | undefined;
  private position = "";
  private heard = 0;
  private failures = 0;
  private ended = false;
  private watchdog = 0;
  private hidden = 0;
  private retry = 0;

  constructor(private readonly o: StreamOptions) {
    document.addEventListener("visibilitychange", this.onVisibility);
    this.watchdog = window.setInterval(() => this.check(), 5000);
    this.open();
  }

  close(): void {
    this.ended = true;
    document.removeEventListener("visibilitychange", this.onVisibility);
    clearInterval(this.watchdog);
    clearTimeout(this.hidden);
    clearTimeout(this.retry);
    this.source?.close();
    this.source = undefined;
  }

  // The stream is complete: nothing more will come.
  finish(): void {
    this.close();
    this.o.onLink("ended");
  }

  private open(): void {
    if (this.ended || this.source) return;
    const at = this.position ? `${this.o.url.includes("?") ? "&" : "?"}after=${encodeURIComponent(this.position)}` : "";
    const source = this.source = new EventSource(this.o.url + at);
    this.heard = Date.now();
    this.o.onLink(this.failures || this.position ? "reconnecting" : "connecting");
    source.onopen = () => {
      this.heard = Date.now();
      this.failures = 0;
      this.o.onLink("live");
    };
    source.onerror = () => {
      if (this.source !== source) return;
      if (source.readyState === EventSource.CLOSED) this.again();
      else this.o.onLink("reconnecting");
    };
    for (const kind of [...this.o.kinds, "beat"])
      source.addEventListener(kind, (e) => this.take(kind, e as MessageEvent<string>));
  }

  private take(kind: string, e: MessageEvent<string>): void {
    this.heard = Date.now();
    if (e.lastEventId) this.position = e.lastEventId;
    if (kind !== "beat") this.o.onEvent(kind, e.data, e.lastEventId);
  }

  private again(): void {
    this.source?.close();
    this.source = undefined;
    this.o.onLink("reconnecting");
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => this.open(), RETRY_MS[Math.min(this.failures++, RETRY_MS.length - 1)]);
  }

  private check(): void {
    if (this.source && Date.now() - this.heard > SILENCE_MS) this.again();
  }

  private onVisibility = (): void => {
    clearTimeout(this.hidden);
    if (document.visibilityState === "hidden") {
      this.hidden = window.setTimeout(() => {
        this.source?.close();
        this.source = undefined;
      }, HIDDEN_MS);
    } else if (!this.source) {
      this.open();
    } else {
      this.check();
    }
  };
}
