-- The days (UTC) that were published of each product, whatever was shown of them
SELECT d.day, d.product, d.k
FROM footfall.published_days d JOIN footfall.publishing USING (product)
