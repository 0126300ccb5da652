"""The pages and the websockets that feed them."""
