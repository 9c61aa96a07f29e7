"""What operators see: readiness, metrics, and the state behind them."""
