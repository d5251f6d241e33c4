-- After the rows, which is faster.
SET search_path = twin;
CREATE INDEX ON cookie (profile);
CREATE INDEX ON email (profile);
CREATE INDEX ON member (cohort, profile);
ALTER TABLE cookie ADD FOREIGN KEY (profile) REFERENCES profile;
ALTER TABLE email ADD FOREIGN KEY (profile) REFERENCES profile;
ALTER TABLE interest ADD FOREIGN KEY (profile) REFERENCES profile;
ALTER TABLE member ADD FOREIGN KEY (profile) REFERENCES profile;
ALTER TABLE member ADD FOREIGN KEY (cohort) REFERENCES cohort;
VACUUM ANALYZE;
CHECKPOINT;
