-- Removes what the same run recorded of a suite before it was checked again.
delete from quality.results where run = $run and suite = $suite
