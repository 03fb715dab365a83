"""Words that services, environments and versions are usually named with: they say nothing of anybody.

Where a catalog does not list its services and environments, these tell a name from what looks personal.
"""

from typing import Final


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_PLACES: Final = _words(
    "eu us uk ap sa ca me af asia europe america africa emea apac latam amer na global world de fr nl",
    "ie it es se no fi dk pl ch at au nz jp kr cn hk sg in br mx za il ae north south east west",
    "central northeast northwest southeast southwest region zone cluster cell site dc az",
)
"""Regions as clouds and teams name them."""

ENVIRONMENTS: Final = _PLACES | _words(
    "prod production prd live release stable stage staging stg preprod pre non nonprod preproduction",
    "test testing tst qa qc uat sit int integration acceptance acc e2e perf performance load stress",
    "soak dev devel develop development local demo demos preview review sandbox playground training",
    "ci cd build nightly canary beta alpha gamma edge next main master trunk head feature branch pr",
    "internal external public private shared common default primary secondary backup dr standby",
    "failover blue green red black white a b c hotfix maintenance migration pilot lab research staff",
    "customer cloud onprem aws gcp azure k8s kubernetes docker compose ecs eks gke aks fly render",
    "heroku lambda env environment server servers",
)
"""What environments are called."""

SERVICES: Final = (
    _PLACES
    | ENVIRONMENTS
    | _words(
        "api apis app apps web webapp website www site http https rest graphql grpc rpc ws websocket",
        "socket frontend front backend back end ui gui spa bff portal admin console dashboard landing",
        "page pages service services svc microservice server client daemon agent worker workers job jobs",
        "task tasks cron scheduler queue consumer producer publisher subscriber processor pipeline stream",
        "etl batch gateway proxy router ingress edge cdn cache balancer mesh sidecar relay collector",
        "exporter receiver bot bots cli tool tools plugin addon extension widget sdk lib core engine",
        "runtime kernel platform auth oauth oidc sso login signup session token identity idp iam access",
        "permission permissions policy user users account accounts profile profiles customer customers",
        "member members person people contact contacts team teams tenant tenants organisation",
        "organization org orgs group groups guild guilds order orders cart checkout payment payments pay",
        "billing invoice invoices ledger wallet pricing price product products catalog catalogue",
        "inventory stock shop store storefront market marketplace shipping delivery returns refund",
        "refunds tax coupon promo promotion promotions offer offers ad ads campaign mail mailer email",
        "emails sms push notification notifications notifier message messages messaging chat comment",
        "comments forum feed news blog content cms media image images video audio file files upload",
        "download storage asset assets document documents pdf print search index indexer recommendation",
        "ranking analytics report reports reporting metrics stats telemetry monitoring logging log logs",
        "audit trace event events webhook webhooks hook hooks integration sync import export converter",
        "parser db database sql postgres mysql redis kafka rabbit mongo elastic game games race racetime",
        "tournament seed seeds generator discord slack telegram twitch mobile android ios desktop browser",
        "electron node python java go dotnet php ruby rust js ts data model models ml ai llm inference",
        "training feature features flag flags config settings health status probe ping echo hello example",
        "sample demo test tests load bench v v1 v2 v3 v4 management manager controller handler helper",
        "panel area section verification lookup vision builder designer wizard",
        "util utils common shared public private internal unknown other my the new old legacy sub",
    )
)
"""What the parts of a service's name are."""

VERSIONS: Final = ENVIRONMENTS | _words(
    "v r g git rev revision commit sha dirty ver version build b rc m p pl sp cr ea lts ga final fcs",
    "snapshot prerelease post patch fix update latest unreleased unknown unstable experimental debug",
    "deb ubuntu bpo el fc alpine jre jdk lt noarch hotfix tag tip fork f u x arm amd linux windows win macos",
    "darwin musl gnu slim bullseye bookworm trixie eap incubating",
)
"""What stands in a version beside its numbers."""

MACHINES: Final = _words(
    "mbp mbpro raspberrypi rpi wsl ubuntu",
    "laptop notebook netbook macbook imac mac pc computer workstation thinkpad latitude chromebook",
    "elitebook ideapad zenbook host hostname localhost localdomain lan intranet fritz speedport dhcp",
    "dsl iphone ipad ipod galaxy pixel phone handy telefon telefono telephone tablet smartphone",
    "rechner arbeitsplatz buero ordinateur portable poste bureau ordenador portatil equipo oficina",
    "computador calculatore komputer dator dizustu kompyuter noutbuk pasokon home homes benutzer",
    "usuarios usuario utilisateurs utilisateur utenti utente gebruiker gebruikers uzytkownik bruker",
    "anvandare kayttaja usr var mnt tmp opt srv appdata roaming downloads dokumente schreibtisch",
    "eigene mydocuments onedrive dropbox icloud ip ec2 compute amazonaws cloudapp vps",
)
"""Words of machines and of folders, in several languages: names that hold one mostly name their owner too."""

PEOPLE: Final = _words("user usr users guest root admin administrator owner name username login")
"""Followed by a word that is not usual, such a word begins somebody's name."""
