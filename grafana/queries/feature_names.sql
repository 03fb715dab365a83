-- The values of the variable "feature", of the chosen surfaces.
SELECT DISTINCT feature FROM reporting.usage WHERE surface IN (${surface:sqlstring}) ORDER BY 1
