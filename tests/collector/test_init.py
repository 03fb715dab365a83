"""`footfall init` at real applications, at bots, and in an empty folder."""

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from footfall_collector.cli import main
from footfall_processors import load_catalog
from support.terminal import Terminal
from support.walkthrough import Command, File

FASTAPI = """\
import threading
from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

router = APIRouter(prefix="/api/v1")
app = FastAPI()
threading.Thread(target=threading.Event().wait).start()  # would be waited for


@router.get("/orders")
def listed(): ...


@router.get("/orders/{order_id}")
def one(order_id: int): ...


@app.get("/health")
def health(): ...


app.include_router(router)
app.mount("/static", StaticFiles(directory="."))
print("noise")
"""
FLASK = """\
from flask import Flask


def create_app():
    app = Flask(__name__)
    app.add_url_rule("/orders/<int:order_id>", "one", lambda: "", methods=["GET", "DELETE"])
    return app


if __name__ != "__main__":
    create_app().run()  # returns at once
"""
DJANGO = """\
from django.conf import settings
from django.contrib import admin
from django.core.wsgi import get_wsgi_application
from django.urls import include, path

APPS = [f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "messages")]
settings.configure(ROOT_URLCONF=__name__, SECRET_KEY="change me", INSTALLED_APPS=APPS)
application = get_wsgi_application()
orders = [path("", print), path("<int:pk>/", print)]
urlpatterns = [path("admin/", admin.site.urls), path("orders/", include(orders))]
"""
DISCORD = """\
import discord
from discord import app_commands
from discord.ext import commands

bot = commands.Bot("!", intents=discord.Intents.default())


@bot.hybrid_command()
async def generator(ctx, preset: str): ...


@bot.group()
async def daily(ctx): ...


@daily.command()
async def show(ctx): ...


group = app_commands.Group(name="stats", description="d")


@group.command(name="mine", description="d")
async def mine(interaction: discord.Interaction): ...


bot.tree.add_command(group)


@bot.tree.context_menu(name="Report this")
async def menu(interaction: discord.Interaction, message: discord.Message): ...


class Seeds(commands.Cog):
    @commands.command()
    async def roll(self, ctx): ...

    @app_commands.command(description="d")
    async def spoiler(self, interaction: discord.Interaction): ...


bot.run("a token")  # returns at once
"""
RACETIME = """\
from racetime_bot import Bot, RaceHandler


class SeedHandler(RaceHandler):
    async def ex_seed(self, args, message): ...

    async def ex_cancel(self, args, message): ...
"""


@pytest.fixture
def init(monkeypatch, tmp_path):
    for name in [n for n in os.environ if n.startswith(("FOOTFALL_", "TELEMETRY_", "OTEL_"))]:
        monkeypatch.delenv(name)
    folder = tmp_path / "Web Shop"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def init(*arguments, text="", answers=None):
        if text:
            Path("app.py").write_text(text)
        given = list(arguments) if answers is not None else [*arguments, "--yes"]
        done = CliRunner().invoke(main, ["init", *given], input=answers)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done

    return init


def matched(file="events.yaml"):
    """What each event stands for."""
    events = load_catalog(file).events.items()
    return {n: next(iter(e.match)) for n, e in events if e.surface != "footfall" and e.match}


def told(done):
    """What is typed next: the lines that are indented."""
    return [line.strip() for line in done.stdout.splitlines() if line.startswith("    ")]


def test_a_fastapi_application_that_was_not_named_is_found_and_its_routes_are_listed(init):
    done = init(text=FASTAPI)
    assert done.exit_code == 0, done.output
    assert {name: rule.route for name, rule in matched().items()} == {
        "web_shop.orders.list": "GET /api/v1/orders",
        "web_shop.orders.get": "GET /api/v1/orders/{order_id}",
    }
    assert "Wrote events.yaml: 2 events for 2 routes." in done.stdout
    assert told(done) == [
        "import footfall",
        'footfall.configure(catalog="events.yaml")',
        "footfall.instrument_fastapi(app)",
        "footfall up",
        "TELEMETRY_ENABLED=true uvicorn app:app",
    ]
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_second_time_only_what_is_new_is_added(init):
    init("--product", "shop", text=FASTAPI)
    edited = Path("events.yaml").read_text().replace("shop.orders.get:", "shop.order: # ours")
    Path("events.yaml").write_text(edited)
    same = init()
    assert "stays as it is: all is there for 2 routes" in same.stdout
    assert Path("events.yaml").read_text() == edited
    more = FASTAPI.replace(
        "app.include", '@router.post("/orders")\ndef new(): ...\n\n\napp.include'
    )
    done = init("--app", "app:app", text=more)
    assert done.stdout.splitlines()[:2] == [
        "Added 1 event to events.yaml:",
        "  shop.orders.post  (POST /api/v1/orders)",
    ]
    assert Path("events.yaml").read_text().startswith(edited)
    assert matched()["shop.orders.post"].route == "POST /api/v1/orders"


def test_a_factory_of_flask_is_called(init):
    done = init("--app", "app:create_app", text=FLASK)
    assert {name: rule.route for name, rule in matched().items()} == {
        "web_shop.orders.get": "GET /orders/<int:order_id>",
        "web_shop.orders.delete": "DELETE /orders/<int:order_id>",
    }
    assert "footfall.instrument_flask(app)" in told(done)


def test_a_django_project_has_its_routes_without_the_admins(init):
    init(text=DJANGO)
    assert {name: rule.route for name, rule in matched().items()} == {
        "web_shop.orders.list": "* /orders/",
        "web_shop.orders.request": "* /orders/<int:pk>/",
    }


def test_a_bot_of_discord_py_has_its_commands(init):
    done = init("--app", "app", text=DISCORD)
    assert {name: rule.discord for name, rule in matched().items()} == {
        "web_shop.generator": "generator",
        "web_shop.daily": "daily",
        "web_shop.daily.show": "daily show",
        "web_shop.stats.mine": "stats mine",
        "web_shop.report.this": "Report this",
    }
    assert told(done)[2:] == [
        "footfall.instrument_discord(bot)",
        "footfall up",
        "TELEMETRY_ENABLED=true python app.py",
    ]
    init("--app", "app:Seeds")
    assert {"web_shop.roll", "web_shop.spoiler"} <= matched().keys()


def test_a_handler_of_racetime_bot_has_its_commands(init):
    done = init("--app", "app:SeedHandler", text=RACETIME)
    assert {name: rule.racetime for name, rule in matched().items()} == {
        "web_shop.seed": "seed",
        "web_shop.cancel": "cancel",
    }
    assert "footfall.instrument_racetime(SeedHandler)" in told(done)


def test_in_an_empty_folder_there_is_an_example(init):
    done = init()
    assert [e.surface for e in load_catalog("events.yaml").events.values()][:1] == ["app"]
    assert told(done)[2] == 'footfall.event("web_shop.example")'
    again = init("--kind", "fastapi")
    assert "stays as it is: no application was looked at" in again.stdout


@pytest.mark.parametrize(
    ("kind", "rule"),
    [("fastapi", "GET /"), ("django", "GET /"), ("discord", "ping"), ("racetime", "seed")],
)
def test_an_example_is_of_the_kind_that_is_named(init, kind, rule):
    init("--kind", kind)
    ((_, found),) = matched().items()
    assert rule in (found.route, found.discord, found.racetime)


def test_questions_have_answers_that_need_only_be_accepted(init):
    done = init(answers="\n\n\n")
    assert re.findall(r"\[([\w-]+)\]:", done.stdout) == ["web-shop", "none", "other"]
    Path("events.yaml").unlink()
    init(answers="shop\nnone\ndiscord\n")
    assert matched().keys() == {"shop.ping"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_like_it", "ModuleNotFoundError (nothing_like_it) at app.py:1"),
        ("\ndef f():\n    return 1 / 0\nf()", "ZeroDivisionError at app.py:3"),
        ("raise ValueError('walker@example.org')", "ValueError at app.py:1"),
        ("import sys\nsys.exit('no')", "SystemExit at app.py:2"),
        ("x = (", "SyntaxError at app.py:1"),
        ("app = 5", "is no application that is known"),
        ("", "ModuleNotFoundError (app)"),
    ],
)
def test_what_cannot_be_imported_is_said_plainly_and_nothing_is_written(init, text, said):
    done = init("--app", "app:app", text=text)
    assert done.exit_code == 1
    assert said in done.stderr
    assert "walker" not in done.stderr
    assert not Path("events.yaml").exists()


def test_a_catalog_with_mistakes_is_not_added_to(init):
    Path("events.yaml").write_text("product: shop\n")
    done = init("--app", "app:app", text=FASTAPI)
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, "1 mistake; nothing was started")


def test_a_product_without_a_right_name_is_refused(init):
    done = init("--product", "Web Shop")
    assert done.exit_code == 2
    assert "beginning with a letter" in done.stderr


def test_telemetry_is_off_while_an_application_is_looked_at(init, monkeypatch):
    monkeypatch.setenv("TELEMETRY_ENABLED", "true")
    text = "import os\nfrom starlette.applications import Starlette\napp = Starlette()\n"
    init(text=text + "assert os.environ['TELEMETRY_ENABLED'] == 'false'\n")
    assert Path("events.yaml").exists()


def test_what_it_says_comes_next_leads_to_a_figure(init, postgres_directory):
    text = "from fastapi import FastAPI\n\napp = FastAPI()\napp.get('/orders/{order}')(lambda order: order)\n"
    *lines, up, serve = told(init(text=text))
    ask = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/orders/7')"
    Terminal(postgres_directory).follow(
        [
            File("app.py", "\n".join([text, *lines])),
            File("events.yaml", Path("events.yaml").read_text()),
            Command(up),
            Command(serve),
            Command(f'python -c "{ask}"'),
            Command("footfall report usage"),
        ],
        ("footfall report", "web_shop.orders.get"),
    )
