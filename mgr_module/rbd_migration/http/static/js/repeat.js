// Work that is repeated while its view is shown.

// Do ``work`` now and then ``seconds`` after each time it ended, but not while the page is hidden.
// ``work`` must not throw. Returns {now, stop}: ``now`` does it immediately, ``stop`` ends the repetition.
export function repeat(seconds, work) {
  let timer = 0;
  let running = false;
  let again = false;
  let stopped = false;

  async function run() {
    clearTimeout(timer);
    if (stopped) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    if (!document.hidden) await work();
    running = false;
    if (!stopped) timer = setTimeout(run, again ? 0 : seconds * 1000);
    again = false;
  }

  const shown = () => {
    if (!document.hidden) run();
  };
  document.addEventListener("visibilitychange", shown);
  run();
  return {
    now: run,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", shown);
    },
  };
}
