"""A Django site with its own logins and sessions, in the folder of the first argument. Its user is `svc`, with the password
`Circle of Life`.

/login (POST, a form) and /logout are csrf-exempt, as sites for programs make them. /accounts/login is not: its page has a token that
comes with the login. /private redirects to /accounts/login without a
session. /flush ends all sessions, /count tells their number: both are for the test.
"""

import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

FOLDER = Path(sys.argv[1])

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    LOGIN_URL="/accounts/login",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a test",
    SESSION_COOKIE_AGE=600,
    USE_TZ=True,
)
django.setup()

from django.contrib.auth import authenticate, login, logout  # noqa: E402
from django.contrib.auth.decorators import login_required  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.middleware.csrf import get_token  # noqa: E402
from django.views.decorators.csrf import csrf_protect  # noqa: E402


def log_in(request):
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return HttpResponse("a form with an error")
    login(request, user)
    return HttpResponse(status=302, headers={"Location": "/private"})


@csrf_protect
def page(request):
    if request.method == "GET":
        token = get_token(request)
        return HttpResponse(f'<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="{token}"></form>')
    return log_in(request)


def log_out(request):
    logout(request)
    return HttpResponse(status=302, headers={"Location": "/"})


@login_required
def private(request):
    return HttpResponse(f"{request.user.username}: {request.body.decode()}")


def flush(_request):
    Session.objects.all().delete()
    return HttpResponse("flushed")


def count(_request):
    return HttpResponse(str(Session.objects.count()))


urlpatterns = [
    path("login", log_in),
    path("accounts/login", page),
    path("logout", log_out),
    path("private", private),
    path("flush", flush),
    path("count", count),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_arguments):
        pass


call_command("migrate", verbosity=0)
User.objects.create_user("svc", password="Circle of Life")
server = make_server("127.0.0.1", 0, WSGIHandler(), server_class=Server, handler_class=Quiet)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
