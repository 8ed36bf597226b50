/** A transparent page over a video: what it shows is asked for in its address, nobody touches it. */

import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { at, call, Problem, type Session } from "./api";
import { follow, type Following } from "./live/events";
import { PARTS, PLACES, Plates, SIZES, THEMES, USUAL, type Look, type Part } from "./live/plates";
import { LiveStore } from "./live/store";

const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The look that an address asks for, and what of it nobody understands. */
function asked(search: string): { look: Look; wrong: string } {
  const given = new URLSearchParams(search);
  const wrong: string[] = [];
  function one<T extends string>(name: string, known: readonly T[], usual: T): T {
    const value = given.get(name);
    if (value === null || (known as readonly string[]).includes(value)) return (value as T | null) ?? usual;
    wrong.push(`${name}=${value.slice(0, 40)} is not one of ${known.join(", ")}.`);
    return usual;
  }
  const names = given.get("show")?.split(",").filter(Boolean) ?? USUAL.show;
  const unknown = names.filter((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown.length) wrong.push(`show=${unknown.join(",").slice(0, 40)} is not among ${PARTS.join(", ")}.`);
  const look: Look = {
    show: PARTS.filter((part: Part) => (names as readonly string[]).includes(part)),
    theme: one("theme", THEMES, USUAL.theme),
    size: one("size", SIZES, USUAL.size),
    place: one("place", PLACES, USUAL.place),
  };
  return { look, wrong: wrong.join(" ") };
}

function Overlay({ id, store }: { id: string; store: LiveStore }) {
  const [{ look, wrong }] = useState(() => asked(location.search));
  const [line, setLine] = useState<Following>("connecting");
  useEffect(() => {
    if (!ID.test(id)) return setLine("gone");
    return follow(id, store, { onState: setLine });
  }, [id, store]);
  useEffect(() => {
    if (line !== "open") return;
    call<Session>("GET", at(id)).then(
      (session) => store.stands(session.state),
      (error: unknown) => {
        if (!(error instanceof Problem)) throw error; // the line will tell
      },
    );
  }, [line]);
  const note = line === "gone" ? "There is no such session." : line === "away" ? "No connection to the server. Trying again…" : "";
  return <Plates store={store} look={line === "gone" ? { ...look, show: [] } : look} note={[note, wrong].filter(Boolean).join(" ")} />;
}

const root = document.getElementById("app");
const id = root?.dataset["session"] ?? "";
if (root) render(<Overlay id={id} store={new LiveStore(id)} />, root);
