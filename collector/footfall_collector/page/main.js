// Starts the page: its title, until there is more of it.
document.querySelector("main")?.append(document.title);
