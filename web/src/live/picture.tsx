/** The live numbers in a small window that stays above all others, while the speaker looks at slides. */

import { render } from "preact";
import { Page } from "./paced";
import { Plates, USUAL } from "./plates";
import type { LiveStore } from "./store";

const WIDTH = 460;
const HEIGHT = 250;

interface PictureInPicture {
  requestWindow(options: { width: number; height: number }): Promise<Window>;
}

/** Opens it; only after a click. Where the browser has no such windows an ordinary small one opens. null: that one was blocked. */
export async function openPictureInPicture(store: LiveStore): Promise<Window | null> {
  const picture = (window as { documentPictureInPicture?: PictureInPicture }).documentPictureInPicture;
  if (!picture) return open(`/overlay/${store.session}`, `elocute-${store.session}`, `popup,width=${WIDTH},height=${HEIGHT}`);
  // As it was sent: a rule written out again loses each shorthand with a variable in it. Before the window, which nobody should see without.
  const sheets = [...document.querySelectorAll<HTMLLinkElement>("link[rel=stylesheet]")];
  const css = await Promise.all(sheets.map(async ({ href }) => (await fetch(href, { cache: "force-cache" })).text()));
  const opened = await picture.requestWindow({ width: WIDTH, height: HEIGHT });
  const page = opened.document;
  page.title = "Elocute";
  page.documentElement.lang = document.documentElement.lang;
  const style = new (opened as Window & typeof globalThis).CSSStyleSheet();
  style.replaceSync(css.join("\n"));
  page.adoptedStyleSheets = [style];
  page.body.className = "overlay window";
  render(
    <Page.Provider value={page}>
      <Plates store={store} look={USUAL} note="" />
    </Page.Provider>,
    page.body,
  );
  opened.addEventListener("pagehide", () => render(null, page.body), { once: true });
  return opened;
}
