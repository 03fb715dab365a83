// What a page says in figures: its tiles, and of each panel the table, charts as tables, too.
() => {
    for (const each of document.querySelectorAll("button[aria-label$=' as a table']")) each.click();
    const said = (node) => node.innerText.replace(/[ \n\t]+/g, " ").trim();
    const row = (of, heads) => Object.fromEntries([...of.cells].map((cell, i) => [heads[i], said(cell)]));
    const table = (of) => {
        const heads = [...of.tHead.rows[0].cells].map((cell) => said(cell).replace(/[\u2009 ][↑↓]$/, ""));
        return [...of.tBodies[0].rows].map((each) => row(each, heads));
    };
    const tables = [...document.querySelectorAll("section.panel")].filter((each) => each.querySelector("table"));
    return {
        tiles: Object.fromEntries([...document.querySelectorAll(".tile")].map((tile) =>
            [said(tile.querySelector("dt")), [...tile.querySelectorAll("dd")].map(said)])),
        ...Object.fromEntries(tables.map((each) => [said(each.querySelector("h2")), table(each.querySelector("table"))])),
    };
}
