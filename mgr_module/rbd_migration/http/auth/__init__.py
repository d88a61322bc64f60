"""Who a request comes from: API keys and tokens of the dashboard."""
