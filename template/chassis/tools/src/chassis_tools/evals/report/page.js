for (const suite of document.querySelectorAll(".suite")) {
  const cases = [...suite.querySelectorAll(".case")];
  const form = suite.querySelector(".filter");
  const [search, state, tag, count] = ["input", ".state", ".tag", "output"].map((name) => form.querySelector(name));
  const matches = (node) =>
    (!state.value || node.classList.contains(state.value)) &&
    (!tag.value || node.dataset.tags.split(" ").includes(tag.value)) &&
    node.textContent.toLowerCase().includes(search.value.toLowerCase());
  const filter = () => {
    for (const node of cases) node.hidden = !matches(node);
    count.value = `${cases.filter((node) => !node.hidden).length} of ${cases.length}`;
  };
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  state.value = ["regressed", "fails"].find((name) => suite.querySelector(`.case.${name}`)) ?? "";
  filter();
}
