// A button that ignores clicks while its work runs. It is not disabled, because it would lose the focus.

// Run ``work`` unless it is already running for this button.
export async function busily(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
