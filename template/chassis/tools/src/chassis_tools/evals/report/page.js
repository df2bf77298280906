for (const suite of document.querySelectorAll(".suite")) {
  const cases = [...suite.querySelectorAll(".case")];
  const [words, show, tag, count] = ["input", ".show", ".tag", "output"].map((one) => suite.querySelector(one));
  const filter = () => {
    const wanted = words.value.toLowerCase();
    for (const each of cases) {
      each.hidden =
        (show.value && !each.classList.contains(show.value)) ||
        (tag.value && !each.dataset.tags.split(" ").includes(tag.value)) ||
        !each.textContent.toLowerCase().includes(wanted);
    }
    count.value = `${cases.filter((each) => !each.hidden).length} of ${cases.length}`;
  };
  const form = suite.querySelector(".filter");
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  show.value = ["worse", "wrong"].find((state) => cases.some((each) => each.classList.contains(state))) ?? "";
  filter();
}
