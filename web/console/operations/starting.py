"""`/operations/new`: form, plan, note, and the page of what was begun.

The plan has a digest: what is begun is what was shown, or nothing. From 50 hosts on the name of
the cluster has to be typed. A script goes from form to form, and never into an address.
"""

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.responses import Response

from domain.refusal import invalid
from web.console.frame.api import Api
from web.console.frame.commands import Commands, commands
from web.console.frame.page_route import Form, one
from web.console.frame.pages import Pages, see_other
from web.console.frame.words import text_content
from web.http.requests import Request

TYPED_FROM = 50
"""So many hosts are not begun by mistake."""
NAMED_MAX, GATES_MAX = 200, 20
KINDS = ("upgrade", "restart", "deploy")
FOR_ADMINISTRATORS = (*KINDS, "run")
REBOOTS = ("if_needed", "never", "always")
TEXTS = ("version", "reboot", "starts_at", "window", "gate")
AMOUNTS = ("max_parallel", "max_failures", "max_unavailable")
SECONDS = ("healthy_for_s", "step_timeout_s")
WAVES = ("waves", "soak_s", "approval")
POLICY = ("override_policy", "note")
FIELDS = ("kind", "cluster", "hosts", *TEXTS, *AMOUNTS, *SECONDS, *WAVES, *POLICY)
SHOWN_BYTES_MAX = 128 * 1024
"""A script that takes more of a page, which markup can do, is shown by its beginning."""
SHOWN_CHARACTERS = 32 * 1024
SCRIPT_FILE = "script.sh"
"""What the commands beside a plan call the file with the script."""
FLAGS = {
    "max_parallel": "-P",
    "max_failures": "-F",
    "max_unavailable": "-U",
    "healthy_for_s": "--healthy",
    "step_timeout_s": "--step-timeout",
    "starts_at": "--starts-at",
    "window": "--window",
    "gate": "--gate",
}
"""What `commctl` calls a field."""

# Any: a body in JSON.
Body = dict[str, Any]


class Starting:
    """The form, the plan, and the beginning of an operation."""

    def __init__(self, api: Api, pages: Pages) -> None:
        self._api = api
        self._pages = pages

    async def show(self, request: Request) -> Response:
        """The form."""
        given = request.query_params
        return await self._form(request, {name: given.get(name, "") for name in FIELDS})

    async def change(self, request: Request, form: Form) -> Response:
        """The form again, with all that was filled in, a script as well."""
        given = {name: one(form, name) for name in FIELDS}
        return await self._form(request, given, _script(form))

    async def _form(self, request: Request, given: dict[str, str], script: str = "") -> Response:
        who = request.identity
        administers = who.may_act_as("admin") or who.may_act_somewhere("admin")
        return self._pages.show(
            request,
            "start.html",
            clusters=await self._api.get(request, "/clusters"),
            kinds=FOR_ADMINISTRATORS if administers else KINDS,
            reboots=REBOOTS,
            windows=[each["name"] for each in await self._api.get(request, "/windows")],
            gates=[each["name"] for each in await self._api.get(request, "/gates")][:GATES_MAX],
            given=given,
            script=script,
            administers=administers,
            may_act=who.may_act_as("operator") or bool(who.clusters),
        )

    async def plan(self, request: Request, form: Form) -> Response:
        """What would be done: hosts, skipped ones with reasons, limits in numbers."""
        body = body_of(form)
        plan = await self._planned(request, body, one(form, "note"))
        script = body.get("script", "")
        is_cut = len(text_content(script).encode()) > SHOWN_BYTES_MAX
        return self._pages.show(
            request,
            "plan.html",
            plan=plan,
            policy=await self._api.get(request, "/cluster/{name}/policy", name=body["cluster"]),
            script=script[:SHOWN_CHARACTERS] if is_cut else script,
            script_cut_of=sha256(script.encode()).hexdigest() if is_cut else "",
            script_base64=b64encode(script.encode()).decode(),
            note=one(form, "note"),
            named=plan["hosts"][:NAMED_MAX],
            skipped=plan["skipped"][:NAMED_MAX],
            fields=[(name, one(form, name)) for name in FIELDS if one(form, name)],
            must_type=len(plan["hosts"]) >= TYPED_FROM,
            commands=_commands(request, dict(body), one(form, "note"), plan["options"]),
        )

    async def begin(self, request: Request, form: Form) -> Response:
        """Begin just what the plan shows."""
        body = body_of(form)
        await self._must_mean_it(request, body, one(form, "typed"), one(form, "note"))
        begun = await self._api.change(
            request,
            "POST",
            "/operations",
            body | {"plan": one(form, "plan")},
            one(form, "note"),
        )
        return see_other(f"/operation/{quote(begun['id'], safe='')}")

    async def _planned(self, request: Request, body: Body, note: str) -> Body:
        asked = body | {"dry_run": True}
        plan: Body = await self._api.change(request, "POST", "/operations", asked, note)
        return plan

    async def _must_mean_it(self, request: Request, body: Body, typed: str, note: str) -> None:
        """Refuse many hosts where the name of the cluster was not typed."""
        if typed == body["cluster"]:
            return
        plan = await self._planned(request, body, note)
        if len(plan["hosts"]) >= TYPED_FROM:
            raise invalid(
                f"This is about {len(plan['hosts'])} hosts: type the name of the cluster.", "typed"
            )


def body_of(form: Form) -> Body:
    """The body of `POST /operations` that a form asks for. What is left empty is not said."""
    body: Body = {name: one(form, name) for name in ("kind", "cluster")}
    body |= {name: one(form, name) for name in TEXTS if one(form, name)}
    if body["kind"] != "deploy":
        body.pop("version", None)
    if body["kind"] == "restart":
        body.pop("reboot", None)
    if body["kind"] == "run":
        body["script"] = _script(form)
    if one(form, "override_policy"):
        body["override_policy"] = True
    for name in AMOUNTS:
        if text := one(form, name):
            body[name] = int(text) if text.isascii() and text.isdigit() else text
    for name in SECONDS:
        if text := one(form, name):
            body[name] = _number(name, text)
    if waves := _waves(form):
        body["waves"] = waves
    if hosts := one(form, "hosts"):
        body["hosts"] = _hosts(hosts)
    return body


def _script(form: Form) -> str:
    """As it was typed; browsers end lines of forms as Windows does, and no shell reads those.

    A plan sends it back in base64, whose size on the page is known.
    """
    if coded := one(form, "script_base64"):
        try:
            return b64decode(coded, validate=True).decode()
        except ValueError:
            raise invalid("script_base64 is no text in base64.", "script_base64") from None
    return form.get("script", [""])[0].replace("\r\n", "\n")


def _waves(form: Form) -> list[Body]:
    """`1, 10%, role=db`, all with the same soak and approval. Refuses those without waves."""
    words = one(form, "waves").replace(",", " ").split()
    rules: Body = {}
    if soak := one(form, "soak_s"):
        rules["soak_s"] = _number("soak_s", soak)
    if approval := one(form, "approval"):
        rules["approval"] = "second" if approval == "second" else True
    if rules and not words:
        raise invalid("A soak and an approval are of waves: say which hosts come first.", "waves")
    return [{"hosts": _first(word)} | rules for word in words]


def _first(word: str) -> int | str | dict[str, str]:
    if "=" in word:
        return {"label": word}
    return int(word) if word.isascii() and word.isdigit() else word


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise invalid(f"{name} must be a number of seconds.", name) from None


def _hosts(text: str) -> Any:
    """Addresses, or filters as `/hosts` has them in its address."""
    words = text.replace(",", " ").split()
    if all("=" not in word for word in words):
        return words
    filters: Body = {}
    for name, value in parse_qsl("&".join(words)):
        if name == "label":
            filters.setdefault("label", []).append(value)
        else:
            filters[name] = value
    return filters


def _commands(request: Request, body: Body, note: str, options: Body) -> Commands:
    parts = [body["kind"], body["cluster"]]
    if "version" in body:
        parts.append(body["version"])
    if "script" in body:
        parts.append(SCRIPT_FILE)
    parts += _hosts_typed(body.get("hosts", []))
    for name, flag in FLAGS.items():
        if name in body:
            value = body[name]
            if name == "starts_at":  # a shell is in another zone than this page
                value = f"{options[name].removesuffix('.000000')}Z"
            parts += [flag, f"{value:g}s" if name in SECONDS else str(value)]
    if "reboot" in body:
        parts += ["--reboot", body["reboot"].replace("_", "-")]
    parts += _waves_typed(body.get("waves", []))
    if "override_policy" in body:
        parts.append("--override-policy")
    file = SCRIPT_FILE if body.pop("script", "") else ""
    return commands(request, parts, "/operations", "POST", body, note=note, script=file)


def _hosts_typed(hosts: Any) -> list[str]:
    """Those that are meant, as `commctl` has them: else the command would be about all members."""
    if isinstance(hosts, list):
        words = hosts
    else:
        filters = dict(hosts)
        words = filters.pop("label", []) + ([f"*{filters.pop('q')}*"] if "q" in filters else [])
        words += [f"{name}={value}" for name, value in filters.items()]
    return ["--hosts", ",".join(words)] if words else []


def _waves_typed(waves: list[Body]) -> list[str]:
    """As `commctl` has them: all with the rules of the first, as the form makes them."""
    if not waves:
        return []
    hosts = [wave["hosts"] for wave in waves]
    words = ",".join(str(each["label"] if isinstance(each, dict) else each) for each in hosts)
    typed, rules = ["--waves", words], waves[0]
    if "soak_s" in rules:
        typed += ["--soak", f"{rules['soak_s']:g}s"]
    if approval := rules.get("approval"):
        typed.append("--approve-second" if approval == "second" else "--approve")
    return typed
