/** Who and what was named in a session, each to be heard; the place that a link leads to; and whether names are hidden. */

import { useEffect, useRef, useState } from "preact/hooks";
import { at, call, Problem, type Session } from "./api";
import { clock } from "./format";

const LEAD_S = 0.5;
const SHOWN = 12; // of one kind

interface Entity {
  kind: "name" | "organisation" | "place" | "date";
  text: string;
  start_s: number;
}

const KINDS = { name: "Names", organisation: "Organisations", place: "Places", date: "Dates" } as const;

export function Named({ session, acting, onMask }: { session: Session; acting: boolean; onMask: (masked: boolean) => void }) {
  const [entities, setEntities] = useState<Entity[]>([]);
  const [playing, setPlaying] = useState(false);
  const audio = useRef<HTMLAudioElement>(null);

  async function play(atS: number) {
    setPlaying(true);
    if (!audio.current) return;
    audio.current.currentTime = atS;
    try {
      await audio.current.play();
    } catch (error) {
      if (!(error instanceof DOMException)) throw error; // the browser wants a press first: it stands at the place, and waits
    }
  }

  useEffect(() => {
    call<{ entities: Entity[] }>("GET", at(session.id, "/entities")).then(
      (found) => setEntities(found.entities),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error; // there are none yet
      },
    );
    const wanted = Number(new URLSearchParams(location.search).get("at") ?? NaN);
    if (wanted >= 0) {
      void play(wanted);
      audio.current?.scrollIntoView({ block: "center" });
    }
  }, []);

  return (
    <section aria-labelledby="named-title">
      <h2 id="named-title">Named</h2>
      <dl class="named">
        {Object.entries(KINDS).map(([kind, title]) => {
          const some = firsts(entities.filter((entity) => entity.kind === kind));
          if (some.length === 0) return null;
          return (
            <div key={kind}>
              <dt>{title}</dt>
              <dd>
                {some.slice(0, SHOWN).map(({ text, start_s }) => (
                  <button key={text} type="button" class="plain" onClick={() => void play(Math.max(0, start_s - LEAD_S))}>
                    {text} <span class="at">{clock(start_s)}</span>
                  </button>
                ))}
              </dd>
            </div>
          );
        })}
      </dl>
      {entities.length === 0 && <p class="empty">No names, organisations, places or dates were found.</p>}
      <audio ref={audio} controls hidden={!playing} preload="none" src={at(session.id, "/audio")} aria-label="The recording, from a place in it" />
      <p class="field check">
        <input id="masked" type="checkbox" checked={session.masked ?? false} disabled={acting} onChange={(event) => onMask(event.currentTarget.checked)} />
        <label for="masked">Hide names, numbers and e-mail addresses</label>
      </p>
      <p class="hint">In the transcript, the report, its files and search. The sound keeps them. Some may be missed, and names are found in English only.</p>
    </section>
  );
}

/** Each text once, where it was said first. */
function firsts(entities: Entity[]): Entity[] {
  const seen = new Set<string>();
  return entities.filter(({ text }) => !seen.has(text.toLowerCase()) && seen.add(text.toLowerCase()));
}
