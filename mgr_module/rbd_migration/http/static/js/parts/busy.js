// A button that does its work once at a time. It is not disabled meanwhile, which would lose the focus.

// Run ``work`` unless the button is at it already.
export async function busily(button, work) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    await work();
  } finally {
    button.removeAttribute("aria-disabled");
  }
}
