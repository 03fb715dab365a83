// What is not drawn well in a page: beyond the window, cut off without a sign, upon something else.
() => {
    const found = [];
    const said = (node) => `${node.tagName} ${node.getAttribute("class") ?? ""} ${node.textContent.trim().slice(0, 40)}`;
    const style = new Map();
    const styled = (node) => style.get(node) ?? style.set(node, getComputedStyle(node)).get(node);
    const shown = (node) => node.checkVisibility({opacityProperty: true, visibilityProperty: true, contentVisibilityAuto: true});
    const above = (node) => { const all = []; for (let at = node; at; at = at.parentElement) all.push(at); return all; };
    const meet = (a, b) => ({left: Math.max(a.left, b.left), top: Math.max(a.top, b.top), right: Math.min(a.right, b.right), bottom: Math.min(a.bottom, b.bottom)});
    const isThere = (r) => r.right - r.left > 1 && r.bottom - r.top > 1;
    const scrolls = (node) => ["auto", "scroll"].includes(styled(node).overflowX);

    const texts = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const node = walk.currentNode, parent = node.parentElement;
        if (!node.data.trim() || parent.closest(".sr, .skip, option, script, noscript, dialog") || !shown(parent)) continue;
        const range = document.createRange();
        range.selectNodeContents(node);
        const around = above(parent);
        for (const whole of range.getClientRects()) {
            let rect = meet(whole, whole);
            for (const each of around) if (styled(each).overflowX !== "visible" && !(each instanceof SVGElement)) rect = meet(rect, each.getBoundingClientRect());
            if (isThere(rect)) texts.push({node: parent, rect});
            if (whole.right > innerWidth + 1 && !around.some((each) => scrolls(each) || styled(each).textOverflow === "ellipsis") && isThere(rect) && rect.right < whole.right - 1)
                found.push(`beyond the window: ${said(parent)}`);
        }
    }
    texts.sort((a, b) => a.rect.top - b.rect.top);
    texts.forEach(({node, rect}, i) => {
        for (let j = i + 1; j < texts.length && texts[j].rect.top < rect.bottom; j++) {
            const both = meet(rect, texts[j].rect);
            if (texts[j].node !== node && both.right - both.left > 3 && both.bottom - both.top > 4) found.push(`${said(node)} lies upon ${said(texts[j].node)}`);
        }
    });
    for (const node of document.querySelectorAll("body *")) {
        if (node instanceof SVGElement || node.closest(".sr, dialog, select, input") || node.scrollWidth <= node.clientWidth + 1 || !shown(node)) continue;
        const {overflowX, textOverflow} = styled(node);
        const hasText = [...node.childNodes].some((each) => each.nodeType === 3 && each.data.trim());
        if (["hidden", "clip"].includes(overflowX) && textOverflow !== "ellipsis" && hasText) found.push(`cut without a sign: ${said(node)}`);
    }
    if (document.documentElement.scrollWidth > innerWidth) {
        const beyond = [...document.querySelectorAll("body *")].filter((node) => node.getBoundingClientRect().right + scrollX > innerWidth);
        found.push(`wider than the window: ${document.documentElement.scrollWidth}, by ${beyond.map((node) => `${node.tagName}.${node.className}`).slice(-3)}`);
    }
    return [...new Set(found)];
}
