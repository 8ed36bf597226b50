/** The words as they come: those that stay, those that may still change, fillers and pauses in their place. */

import type { ComponentChild, VNode } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { lasted, SPACELESS } from "../format";
import { FAST_MS, usePaced } from "./paced";
import type { Item, LiveStore, Paragraph } from "./store";

const TOLD_PAUSE_S = 1; // a longer one is told in seconds
const NEAR_PX = 60; // of the end: who reads there wants to stay there

function drawn(items: readonly Item[], gap: string): ComponentChild[] {
  return items.flatMap((item, index) => {
    if (item.kind === "word") return [item.text, gap];
    if (item.kind === "missing") return [<span key={index} class="missing">Earlier words are not shown here, the report has them.</span>, gap];
    if (item.kind === "pause") return [<PauseMark key={index} s={item.end_s - item.start_s} />, gap];
    return [<mark key={index} class={item.kind}>{item.text}</mark>, gap];
  });
}

function PauseMark({ s }: { s: number }) {
  if (s < TOLD_PAUSE_S) return <span class="breath" role="img" aria-label="pause" />;
  return <span class="gap">{lasted(s)}<span class="quiet"> pause</span></span>;
}

export function Transcript({ store }: { store: LiveStore }) {
  usePaced(store, FAST_MS);
  const box = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const gap = SPACELESS.has(store.language) ? "" : " ";
  // A paragraph that did not change is the same node, which Preact then passes over.
  const known = useMemo(() => new WeakMap<Paragraph, VNode>(), [gap]);
  const node = (paragraph: Paragraph, last: boolean) => {
    if (last) return <p key={paragraph.key}>{drawn(paragraph.items, gap)}{tail}</p>;
    const found = known.get(paragraph) ?? <p key={paragraph.key}>{drawn(paragraph.items, gap)}</p>;
    known.set(paragraph, found);
    return found;
  };
  // What may still change is for the eye only: heard, it would be said again and again.
  const tail = <span class="tentative" aria-hidden="true">{drawn(store.tail, gap)}</span>;
  const { paragraphs } = store;
  const nothing = paragraphs.length === 0 && store.tail.length === 0;

  useLayoutEffect(() => {
    if (following && box.current) box.current.scrollTop = box.current.scrollHeight;
  });
  return (
    <div class="transcript">
      <div
        ref={box}
        class="words"
        tabIndex={0}
        role="group"
        aria-label="Transcript"
        lang={store.language || undefined}
        dir="auto"
        onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => setFollowing(scrollHeight - scrollTop - clientHeight < NEAR_PX)}
      >
        {nothing && <p class="empty">{store.over ? "Nothing was said." : "Your words appear here as you speak."}</p>}
        {paragraphs.map((paragraph, index) => node(paragraph, index === paragraphs.length - 1))}
        {paragraphs.length === 0 && !nothing && <p key="first">{tail}</p>}
      </div>
      {!following && (
        <button type="button" class="plain now" onClick={() => setFollowing(true)}>
          Back to now
        </button>
      )}
    </div>
  );
}
