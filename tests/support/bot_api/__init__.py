"""A Bot API server on 127.0.0.1 that keeps the account of what the platform really took, and fails as told.

    async with BotApi() as api:
        api.world.say(private(7, "hello"))        # an update, as its user causes it
        ...                                       # point the interface at api.base_url with the token api.world.token
        assert api.world.texts(7) == ["Hi."]      # what the chat shows

As a program, `python -m tests.support.bot_api --port 0` prints its address and is told what to do over HTTP.
"""

from tests.support.bot_api.senders import Person, album, button_press, edited, message, private
from tests.support.bot_api.server import BotApi
from tests.support.bot_api.world import Effect, Fault, World

__all__ = ["BotApi", "Effect", "Fault", "Person", "World", "album", "button_press", "edited", "message", "private"]
