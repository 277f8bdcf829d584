"""A JupyterHub's configuration: a spawner that starts a command with the environment that DockerSpawner gives a container, and no proxy,
because a client of the test goes to the server itself. Its values come from the test's variables."""

import os

from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner

c = get_config()  # noqa: F821


class Routes(Proxy):
    """Remembers routes, and serves none."""

    should_start = False
    routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


class Container(SimpleLocalProcessSpawner):
    """Gives the hub's variables and the container's own ones, as DockerSpawner does, and nothing of the hub's environment."""

    def get_env(self):
        env = super().get_env()
        hubs = {name: value for name, value in env.items() if name.startswith(("JUPYTERHUB_", "JPY_"))}
        hubs["JUPYTERHUB_SERVICE_URL"] = f"http://0.0.0.0:{self.port}/user/{self.user.name}/"
        given = {name[len("GIVEN_") :]: value for name, value in os.environ.items() if name.startswith("GIVEN_")}
        return hubs | given


c.JupyterHub.hub_port = int(os.environ["HUB_PORT"])
c.JupyterHub.bind_url = f"http://127.0.0.1:{os.environ['HUB_PUBLIC_PORT']}"
c.JupyterHub.proxy_class = Routes
c.JupyterHub.spawner_class = Container
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.db_url = "sqlite:///:memory:"
c.JupyterHub.services = [{"name": "test", "api_token": os.environ["HUB_TOKEN"]}]
c.JupyterHub.load_roles = [
    {"name": "test", "services": ["test"], "scopes": ["admin:users", "admin:servers", "tokens", "access:servers", "proxy"]},
    {"name": "user", "scopes": ["self", "access:servers!user"]},
]
c.Spawner.cmd = [os.environ["TRAINIT"], "run", "jupyter"]
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 120
