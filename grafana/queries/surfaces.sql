-- The values of the variable "surface".
SELECT DISTINCT surface FROM reporting.usage ORDER BY 1
