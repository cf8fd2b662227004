// Asks before a form with data-confirm is sent, and opens the dialogs that buttons name.

const dialog = document.getElementById("confirm");
const confirmed = new WeakSet();

// It comes before htmx, which listens at the form itself.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.confirm || confirmed.delete(form)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const button = event.submitter;
  dialog.querySelector("#confirm-text").textContent = form.dataset.confirm;
  dialog.returnValue = "";
  dialog.onclose = () => {
    button?.focus();
    if (dialog.returnValue !== "yes") return;
    confirmed.add(form);
    form.requestSubmit(button);
  };
  dialog.showModal();
}, true);

document.addEventListener("click", (event) => {
  const opens = event.target.closest("[data-opens]")?.dataset.opens;
  if (opens) document.getElementById(opens).showModal();
});
