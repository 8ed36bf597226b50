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
  const opened = await picture.requestWindow({ width: WIDTH, height: HEIGHT });
  const page = opened.document;
  page.title = "Elocute";
  page.documentElement.lang = document.documentElement.lang;
  // The rules, not links to them: nobody should see the page before its style is there.
  const style = new (opened as Window & typeof globalThis).CSSStyleSheet();
  style.replaceSync([...document.styleSheets].flatMap((sheet) => [...sheet.cssRules].map((rule) => rule.cssText)).join("\n"));
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
