"use strict";
// A key acts on the element that names it in data-key: it presses a button, toggles a box, or goes to a field.
const answer = document.getElementById("answer");
const isField = (element) => element.matches("textarea, input:not([type=checkbox])");
const button = (value) => document.querySelector(`#verdict button[value=${value}]`);
const isChanged = () => answer !== null && answer.value.trim() !== answer.defaultValue.trim();

document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    (isChanged() ? button("fail") : button("pass") ?? button("fail"))?.click();
  } else if (event.key === "Escape") {
    event.target.blur();
  } else if (!event.ctrlKey && !event.metaKey && !event.altKey && !isField(event.target)) {
    press(event);
  }
});

function press(event) {
  const help = document.getElementById("help");
  const target = event.key === "?" ? help : document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target || event.repeat) return;
  event.preventDefault();
  if (target === help) {
    help.open = !help.open;
  } else if (isField(target)) {
    target.focus();
  } else if (target.value === "fail" && !isChanged() && !("optional" in answer.dataset)) {
    answer.focus();
    answer.select();
    document.getElementById("hint").textContent = "Write the right answer here, then press Ctrl+Enter.";
  } else {
    target.click();
  }
}

// A form is sent once, however fast someone types.
document.addEventListener("submit", (event) => {
  if (document.body.dataset.sent) event.preventDefault();
  document.body.dataset.sent = "true";
});
window.addEventListener("pageshow", () => delete document.body.dataset.sent);
