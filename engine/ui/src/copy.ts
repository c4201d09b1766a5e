// A command to copy. Where the browser gives no clipboard (plain HTTP that is not loopback), its text is selected instead.
import { LitElement, html } from "lit";

export class Copy extends LitElement {
  static override properties = { text: { type: String }, label: { type: String } };
  declare text: string;
  declare label: string;
  private said = "";

  protected override createRenderRoot(): HTMLElement { return this; }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.text);
      this.said = "copied";
    } catch {
      getSelection()?.selectAllChildren(this.querySelector("code")!);
      this.said = "selected: copy it with the keyboard";
    }
    this.requestUpdate();
  }

  override render() {
    const long = this.text.includes("\n");
    return html`<span class="copy-label">${this.label}</span>
      ${long ? html`<pre tabindex="0"><code>${this.text}</code></pre>` : html`<code>${this.text}</code>`}
      <button type="button" class="plain" aria-label="Copy: ${this.label}" @click=${() => void this.copy()}>Copy</button>
      <span role="status" class="copy-said">${this.said}</span>`;
  }
}
customElements.define("pr-copy", Copy);
