// Keeps filters of a list under names in this browser: an element with data-saved names the list.
// Nobody else sees them, and another browser does not know them.

const storeOf = (element) => `saved:${element.dataset.saved}`;

function read(element) {
  try {
    return JSON.parse(localStorage.getItem(storeOf(element))) ?? {};
  } catch {
    return {};
  }
}

function write(element, all) {
  localStorage.setItem(storeOf(element), JSON.stringify(all));
  show(element);
}

function show(element) {
  const list = element.querySelector("ul");
  list.replaceChildren(...Object.entries(read(element)).sort().map(([name, query]) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = location.pathname + query;
    link.textContent = name;
    if (query === location.search) link.setAttribute("aria-current", "true");
    const forget = document.createElement("button");
    forget.type = "button";
    forget.className = "link";
    forget.textContent = "×";
    forget.setAttribute("aria-label", `Forget ${name}`);
    forget.onclick = () => {
      const all = read(element);
      delete all[name];
      write(element, all);
    };
    item.append(link, " ", forget);
    return item;
  }));
}

function prepare(element) {
  show(element);
  if (element.prepared) return;
  element.prepared = true;
  const form = element.querySelector("form");
  element.querySelector("[data-save]").onclick = () => {
    form.hidden = !form.hidden;
    form.querySelector("input").focus();
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    const name = form.querySelector("input").value.trim();
    if (!name) return;
    form.hidden = true;
    form.reset();
    write(element, { ...read(element), [name]: location.search });
    element.querySelector("[data-save]").focus();
  };
}

const update = () => document.querySelectorAll("[data-saved]").forEach(prepare);
update();
document.addEventListener("htmx:after:swap", update);
