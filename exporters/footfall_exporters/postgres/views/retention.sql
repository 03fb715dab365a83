-- What is kept for how long
SELECT what, product, environment, kept FROM footfall.kept
