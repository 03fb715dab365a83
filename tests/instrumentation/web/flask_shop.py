"""The Flask application of these tests."""

import time

import flask

import footfall
from footfall.web import route_event
from instrumentation.web.shop import PresetError, SoldOut


def make_app():
    app = flask.Flask("shop")

    @app.get("/seeds/<int:id>")
    def seed(id):
        return {"id": id}

    @app.route("/answer/<int:status>", methods=["GET", "POST"])
    def answer(status):
        if status >= 400:
            flask.abort(status)
        return "", status

    @app.get("/raise/<kind>")
    def raise_(kind):
        raise {"sold_out": SoldOut, "preset": PresetError, "key": KeyError}[kind](
            "jane@example.org"
        )

    @app.errorhandler(PresetError)
    def preset_error(error):
        return "", 400

    @app.get("/stream")
    def stream():
        def parts():
            yield b"a"
            time.sleep(0.1)
            yield b"b"

        return flask.Response(parts())

    @app.post("/made")
    @route_event("seed.made")
    def made():
        with footfall.feature("seed.inner"):
            return ""

    @app.get("/other")
    def other():
        return "", 200, {"traceparent": "mine"}

    blueprint = flask.Blueprint("admin", "admin", url_prefix="/admin")
    blueprint.add_url_rule("/page", view_func=lambda: "page")
    blueprint.before_request(lambda: ("", 403))
    app.register_blueprint(blueprint)
    return app
