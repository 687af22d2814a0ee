"""What runs where the work is: attempts and their logs. Knows neither engine nor driver."""
