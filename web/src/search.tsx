/** What was said, found again: a question, how it was spoken, and the places that play. */

import { render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, Problem } from "./api";
import { clock, when } from "./format";

interface Filter {
  name: string;
  title: string;
}

interface Hit {
  session: string;
  title: string;
  created_at: string;
  kind: "passage" | "moment" | "comment";
  start_s: number;
  text: { text: string; hit: boolean }[];
  why: string[];
  url: string;
}

interface Answer {
  topic: string;
  filters: Filter[];
  by_meaning: boolean;
  results: Hit[];
}

/** In the order of api/search.py, as they are called there. */
const FILTERS: readonly Filter[] = [
  { name: "fast", title: "faster than usual" },
  { name: "slow", title: "slower than usual" },
  { name: "fillers", title: "with fillers" },
  { name: "monotone", title: "pitch flatter than usual" },
  { name: "pauses", title: "with a pause of a second or more" },
  { name: "loud", title: "louder than usual" },
  { name: "quiet", title: "quieter than usual" },
];

const KINDS = { passage: "", moment: "Moment", comment: "Comment" } as const;

function Search() {
  const [address, setAddress] = useState(location.search);
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [problem, setProblem] = useState("");
  const field = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const back = () => setAddress(location.search);
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);

  useEffect(() => {
    const asked = new URLSearchParams(address);
    if (field.current) field.current.value = asked.get("q") ?? "";
    if (!asked.size || (asked.size === 1 && !asked.get("q")?.trim())) {
      setAnswer(null);
      setProblem("");
      return undefined;
    }
    const stop = new AbortController();
    call<Answer>("GET", `/v1/search?${asked}`, undefined, stop.signal).then(
      (found) => {
        setProblem("");
        setAnswer(found);
        // What was understood as a filter is one from now on, and can be taken away.
        const plain = parameters(found.topic, found.filters.map((filter) => filter.name));
        history.replaceState(null, "", `/search${plain}`);
        if (field.current) field.current.value = found.topic;
      },
      (error: unknown) => {
        if (error instanceof DOMException && error.name === "AbortError") return;
        if (!(error instanceof Problem)) throw error;
        setAnswer(null);
        setProblem(error.message);
      },
    );
    return () => stop.abort();
  }, [address]);

  function look(question: string, filters: readonly string[]) {
    const wanted = parameters(question, filters);
    history.pushState(null, "", `/search${wanted}`);
    setAddress(wanted);
  }

  const active = answer?.filters.map((filter) => filter.name) ?? [];
  return (
    <>
      <form
        class="looking"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          look(field.current?.value ?? "", active);
        }}
      >
        <input ref={field} aria-label="Look for" maxLength={300} autocomplete="off" autofocus placeholder="Where did I talk about pricing too fast?" />
        <button type="submit" class="main">
          Search
        </button>
      </form>
      <p class="chips" role="group" aria-label="How it was spoken">
        {FILTERS.map(({ name, title }) => {
          const on = active.includes(name);
          const others = active.filter((other) => other !== name);
          return (
            <button key={name} type="button" class="chip" aria-pressed={on} onClick={() => look(field.current?.value ?? "", on ? others : [...active, name])}>
              {title}
              {on && <span aria-hidden="true"> ×</span>}
            </button>
          );
        })}
      </p>
      {problem && (
        <p class="trouble" role="alert">
          {problem}
        </p>
      )}
      {answer && <Answers answer={answer} />}
      {!answer && !problem && <p class="hint">In your own words. “Too fast”, “with ums”, “monotone” and the like ask how it was spoken.</p>}
    </>
  );
}

function Answers({ answer: { results, by_meaning } }: { answer: Answer }) {
  return (
    <section aria-labelledby="found-title">
      <h2 id="found-title" class="quiet">
        Found
      </h2>
      <p class="quiet" role="status">
        {results.length === 1 ? "1 place found" : `${results.length} places found`}
      </p>
      {!by_meaning && <p class="note">Only the words themselves are looked for: the weights that compare meanings are not installed.</p>}
      {results.length === 0 && <p class="empty">Nothing like this was found. Try fewer words, or take a filter away.</p>}
      <ol class="hits">
        {results.map((hit) => (
          <li key={hit.url + hit.kind}>
            <a href={hit.url}>
              {hit.title || "Untitled recording"}
              <span class="at"> {clock(hit.start_s)}</span>
            </a>
            <time dateTime={hit.created_at}>{when(hit.created_at)}</time>
            <p class="said" dir="auto">
              {KINDS[hit.kind] && <b>{KINDS[hit.kind]}: </b>}
              {hit.text.map((piece, index) => (piece.hit ? <mark key={index}>{piece.text}</mark> : piece.text))}
            </p>
            {hit.why.length > 0 && <p class="hint">{hit.why.join("; ")}</p>}
          </li>
        ))}
      </ol>
    </section>
  );
}

function parameters(question: string, filters: readonly string[]): string {
  const made = new URLSearchParams();
  if (question.trim()) made.set("q", question.trim());
  for (const name of filters) made.set(name, "1");
  return made.size ? `?${made}` : "";
}

const root = document.getElementById("app");
if (root) {
  root.replaceChildren(); // what the server wrote, for those without scripts
  render(<Search />, root);
}
